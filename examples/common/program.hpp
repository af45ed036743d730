// What the example programs share: how they find the files of the project, and how they end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <mien/error.hpp>

namespace mien::examples {

// Exit statuses, as is the custom of Unix programs.
inline constexpr int success = 0;
inline constexpr int failure = 1;
inline constexpr int usage_error = 2;

/// The path of a file that comes with the project. Throws mien::Error if it is not there; `option`
/// is what the user can name another one with.
inline std::string model_path(const std::string& file, const std::string& option) {
  const std::filesystem::path path = std::filesystem::path(MIEN_MODELS_DIR) / file;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    throw Error(path.string() + ": expected a file that comes with the project, found none; " +
                "name another one with " + option);
  }
  return path.string();
}

/// Runs `task` and turns what it throws into one message on standard error, which begins with the
/// program's name. Returns the exit status.
template <class Task>
int report_errors(const std::string& program, Task&& task) {
  try {
    task();
    return success;
  } catch (const std::bad_alloc&) {
    std::cerr << program << ": not enough memory\n";
  } catch (const std::length_error&) {  // more than a container may ever have
    std::cerr << program << ": not enough memory\n";
  } catch (const std::exception& error) {
    std::cerr << program << ": " << error.what() << "\n";
  }
  return failure;
}

/// Prints one line on standard output at once. Throws mien::Error if it cannot be written.
inline void print_line(const std::string& line) {
  std::cout << line << std::endl;
  if (!std::cout) throw Error("standard output: cannot write");
}

/// Parses the command line. Returns true if the program shall go on; otherwise help or a message
/// has been printed, and `status` is what the program shall end with.
inline bool parse_command_line(CLI::App& app, int argc, char** argv, int& status) {
  try {
    app.parse(argc, argv);
    // CLI11 takes an empty text, as of a shell's variable that is not set, for no value.
    for (const CLI::Option* const option : app.get_options()) {
      const std::vector<std::string>& values = option->results();
      if (std::find(values.begin(), values.end(), "") == values.end()) continue;
      throw CLI::ValidationError(option->get_name(), "expected a value, found an empty one");
    }
    return true;
  } catch (const CLI::CallForHelp&) {
    status = report_errors(app.get_name(), [&app] { print_line(app.help()); });
  } catch (const CLI::ParseError& error) {
    std::cerr << app.get_name() << ": " << error.what() << " (--help explains the options)\n";
    status = usage_error;
  }
  return false;
}

/// Runs process(input, number from 1) for every input. Those that throw are reported, the others go
/// on, as long as somebody can read the results. Returns the exit status.
template <class Process>
int for_each_input(const std::string& program, const std::vector<std::string>& inputs,
                   Process&& process) {
  int status = success;
  for (std::size_t i = 0; i < inputs.size() && std::cout; ++i) {
    if (report_errors(program, [&] { process(inputs[i], i + 1); }) != success) status = failure;
  }
  return status;
}

}  // namespace mien::examples
