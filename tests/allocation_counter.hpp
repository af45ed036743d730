// Counts every allocation of the test program.
#pragma once

#include <cstddef>

/// Calls of any operator new since the program started.
std::size_t allocation_count() noexcept;
/// Bytes asked for by them, given back or not.
std::size_t allocated_bytes() noexcept;
