// Several compiled layers in one object.
#pragma once

#include <mien/weights.hpp>

namespace mien::detail {

/// Members that take their tensors, and are visited, in order. Unlike a std::tuple's they are made
/// where they stay, which saves compilers a move constructor for every part of every network.
template <class... Layers>
class InOrder {
 public:
  explicit InOrder(TensorReader&) {}

  template <class Visitor>
  void visit(Visitor&&) const {}
};

template <class First, class... Rest>
class InOrder<First, Rest...> {
 public:
  explicit InOrder(TensorReader& tensors) : first_(tensors), rest_(tensors) {}

  /// Calls visitor(layer) for each.
  template <class Visitor>
  void visit(Visitor&& visitor) const {
    visitor(first_);
    rest_.visit(visitor);
  }

 private:
  First first_;
  InOrder<Rest...> rest_;
};

}  // namespace mien::detail
