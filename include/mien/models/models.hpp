// All networks that come with Mien, and the choice of one by the name that stands in weight files.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#include <mien/error.hpp>
#include <mien/models/alexnet.hpp>
#include <mien/models/fer_net.hpp>
#include <mien/models/inception_fer.hpp>
#include <mien/models/mini_fer.hpp>
#include <mien/models/resnet33.hpp>
#include <mien/models/vgg10.hpp>
#include <mien/models/vgg_net.hpp>

namespace mien {

/// Stands for a network's type where a value is needed: `typename decltype(tag)::type`.
template <class Model>
struct ModelTag {
  using type = Model;
};

/// Networks among which a program chooses when it runs. Each of them is compiled into a program
/// that does; a list of fewer makes it smaller.
template <class... Models>
struct ModelList {
  static_assert(sizeof...(Models) > 0, "ModelList needs at least one network");
  static constexpr std::size_t size = sizeof...(Models);

  /// Calls visitor(ModelTag<Model>()) for every network, in order.
  template <class Visitor>
  static void for_each(Visitor&& visitor) {
    (visitor(ModelTag<Models>()), ...);
  }

  /// Returns visitor(ModelTag<Model>()) for the network of this name; it returns the same type for
  /// every network. Throws Error if there is none; `where` begins the message.
  ///
  ///   AllModels::visit(file.architecture(), file.name(), [&](auto tag) {
  ///     using Model = typename decltype(tag)::type;
  ///     return Model(file).labels();
  ///   });
  template <class Visitor>
  static auto visit(std::string_view name, const std::string& where, Visitor&& visitor) {
    return visit_one_of<Visitor, Models...>(name, where, visitor);
  }

  /// "'mini_fer', 'alexnet', ...": for messages.
  static std::string names() {
    std::string text;
    ((text += (text.empty() ? "'" : ", '") + std::string(Models::name) + "'"), ...);
    return text;
  }

 private:
  template <class Visitor, class First, class... Rest>
  static auto visit_one_of(std::string_view name, const std::string& where, Visitor& visitor) {
    if constexpr (sizeof...(Rest) > 0) {
      if (name != First::name) return visit_one_of<Visitor, Rest...>(name, where, visitor);
    } else if (name != First::name) {
      throw Error(where + ": architecture: expected " + (size > 1 ? "one of " : "") + names() +
                  ", found '" + std::string(name) + "'");
    }
    return visitor(ModelTag<First>());
  }
};

/// Every network that comes with Mien.
using AllModels =
    ModelList<MiniFer, AlexNet, FerNet, FerNet256, VggNet, Vgg10, InceptionFer, ResNet33>;

}  // namespace mien
