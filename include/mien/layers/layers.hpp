// All layers.
#pragma once

#include <mien/layers/avg_pool2d.hpp>
#include <mien/layers/batch_norm2d.hpp>
#include <mien/layers/concatenate.hpp>
#include <mien/layers/conv2d.hpp>
#include <mien/layers/dense.hpp>
#include <mien/layers/depthwise_conv2d.hpp>
#include <mien/layers/flatten.hpp>
#include <mien/layers/inverted_residual.hpp>
#include <mien/layers/local_response_norm.hpp>
#include <mien/layers/max_pool2d.hpp>
#include <mien/layers/relu.hpp>
#include <mien/layers/residual.hpp>
#include <mien/layers/sequential.hpp>
#include <mien/layers/softmax.hpp>
