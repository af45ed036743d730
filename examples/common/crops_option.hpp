// The option --views of programs that classify.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include <mien/face_crops.hpp>

namespace mien::examples {

inline void add_crops_option(CLI::App& app, Crops& crops) {
  app.add_option_function<std::string>(
         "--views",
         [&crops](const std::string& name) { crops = name == "ten" ? Crops::ten : Crops::center; },
         "what the network sees of a face: its centre, or ten crops, which take ten times as long "
         "and are more accurate; default: centre")
      ->check(CLI::IsMember({"centre", "ten"}))
      ->type_name("VIEWS");
}

}  // namespace mien::examples
