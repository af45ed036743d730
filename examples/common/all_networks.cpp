// Compiles every network once for all programs.
#include <string>

#include <mien/any_network.hpp>
#include <mien/models/models.hpp>

template mien::AnyNetwork mien::AnyNetwork::load<mien::AllModels>(const std::string&);
