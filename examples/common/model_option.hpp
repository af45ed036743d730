// The option --model of programs that classify.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <mien/any_network.hpp>
#include <mien/ensemble.hpp>
#include <mien/models/models.hpp>

#include "program.hpp"

namespace mien {

// In all_networks.cpp, so that not every program compiles them.
extern template AnyNetwork AnyNetwork::load<AllModels>(const std::string&);

namespace examples {

/// `several` says what the program does with more than one.
inline void add_model_option(CLI::App& app, std::vector<std::string>& models,
                             const std::string& several) {
  app.add_option("--model", models,
                 "weight file (.mien) of any network that Mien knows; default: MiniFER's, which "
                 "comes with Mien. Given more than once: " +
                     several)
      ->allow_extra_args(false)
      ->type_name("FILE");
}

/// The networks that the user named, or the one that comes with Mien, all verified. Throws
/// mien::Error.
inline Ensemble load_models(const std::vector<std::string>& models) {
  const Ensemble networks =
      Ensemble::load(models.empty() ? std::vector{model_path("mini_fer.mien", "--model")} : models);
  networks.verify();
  return networks;
}

}  // namespace examples
}  // namespace mien
