// The option --views of programs that classify.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include <mien/expression.hpp>

namespace mien::examples {

inline void add_views_option(CLI::App& app, Views& views) {
  app.add_option_function<std::string>(
         "--views",
         [&views](const std::string& name) { views = name == "ten" ? Views::ten : Views::centre; },
         "what the network sees of a face: its centre, or ten crops, which take ten times as long "
         "and are more accurate; default: centre")
      ->check(CLI::IsMember({"centre", "ten"}))
      ->type_name("VIEWS");
}

}  // namespace mien::examples
