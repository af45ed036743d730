// Mien: faces and expressions from photos. This header includes all of the library.
#pragma once

#include <mien/expression.hpp>
#include <mien/metrics.hpp>
#include <mien/models/mini_fer.hpp>
#include <mien/parallel.hpp>
#include <mien/video.hpp>
