// Counts every allocation of the test program.
#pragma once

#include <cstddef>

/// Calls of any operator new since the program started.
std::size_t allocation_count() noexcept;
