// Mien: faces and expressions from photos. This header includes all of the library.
#pragma once

#include <mien/ensemble.hpp>
#include <mien/expression.hpp>
#include <mien/face_region.hpp>
#include <mien/faces/face_finder.hpp>
#include <mien/image/crop.hpp>
#include <mien/image/equalize_histogram.hpp>
#include <mien/image/image.hpp>
#include <mien/image/integral_image.hpp>
#include <mien/image/resize.hpp>
#include <mien/metrics.hpp>
#include <mien/model.hpp>
#include <mien/models/models.hpp>
#include <mien/network.hpp>
#include <mien/parallel.hpp>
#include <mien/saliency.hpp>
#include <mien/version.hpp>
#include <mien/video.hpp>
