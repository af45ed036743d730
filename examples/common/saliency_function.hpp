// Saliency of whichever network a weight file is for.
#pragma once

#include <cstddef>
#include <functional>

#include <mien/any_network.hpp>
#include <mien/expression.hpp>
#include <mien/saliency.hpp>
#include <mien/vision/image.hpp>

namespace mien::examples {

/// The map of an expression, by its index, for the face in a box of a photo: FaceSaliency::map of a
/// network whose type is known to the function alone.
using SaliencyFunction = std::function<SaliencyMap(const GrayView& photo, const Rect& box,
                                                   std::size_t label, Views views)>;

/// That of a classifier's network, whose file it reads again. Throws mien::Error. In
/// saliency_function.cpp, so that the gradients of every network are compiled apart from the
/// programs.
SaliencyFunction load_saliency(const ExpressionClassifier<AnyNetwork>& classifier);

}  // namespace mien::examples
