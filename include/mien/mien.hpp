// Mien: faces and expressions from photos. This header includes all of the library.
#pragma once

#include <mien/any_network.hpp>
#include <mien/ensemble.hpp>
#include <mien/expression.hpp>
#include <mien/metrics.hpp>
#include <mien/models/models.hpp>
#include <mien/parallel.hpp>
#include <mien/saliency.hpp>
#include <mien/video.hpp>
