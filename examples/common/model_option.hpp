// The option --model of programs that classify.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <mien/ensemble.hpp>
#include <mien/model.hpp>
#include <mien/weights.hpp>

#include "program.hpp"

namespace mien::examples {

/// `several` says what the program does with more than one.
inline void add_model_option(CLI::App& app, std::vector<std::string>& models,
                             const std::string& several) {
  app.add_option("--model", models,
                 "weight file (.mien) of any network that reads faces; default: MiniFER's, which "
                 "comes with Mien. Given more than once: " +
                     several)
      ->allow_extra_args(false)
      ->type_name("FILE");
}

/// The files that the user named, or the one that comes with Mien. Throws mien::Error.
inline std::vector<WeightFile> load_weight_files(const std::vector<std::string>& models) {
  std::vector<WeightFile> files;
  for (const std::string& path : models) files.push_back(WeightFile::load(path));
  if (files.empty()) files.push_back(WeightFile::load(model_path("mini_fer.mien", "--model")));
  return files;
}

/// Their networks, all verified. Throws mien::Error.
inline Ensemble make_ensemble(const std::vector<WeightFile>& files) {
  const Ensemble networks(std::vector<Model>(files.begin(), files.end()));
  networks.verify();
  return networks;
}

inline Ensemble load_models(const std::vector<std::string>& models) {
  return make_ensemble(load_weight_files(models));
}

}  // namespace mien::examples
