// Layers one after the other, and names for values that are taken again later.
#pragma once

namespace mien {

/// Each layer takes the output of the one before it.
template <class... Layers>
struct Sequential {
  static_assert(sizeof...(Layers) > 0, "Sequential needs at least one layer");
};

/// Gives the current value a number, by which From finds it.
template <int Number>
struct Mark {};

/// Stands for the value that Mark<Number> marked before. With both, any acyclic graph is a list:
///
///   Conv2d<...>, Mark<1>, Conv2d<...>, ReLU, Conv2d<...>, Add<Identity, From<1>>, ReLU
template <int Number>
struct From {};

}  // namespace mien
