// The gradients of all layers.
#pragma once

#include <mien/saliency/composition_gradients.hpp>
#include <mien/saliency/conv2d_gradient.hpp>
#include <mien/saliency/dense_gradient.hpp>
#include <mien/saliency/elementwise_gradients.hpp>
#include <mien/saliency/pooling_gradients.hpp>
