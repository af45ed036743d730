// The library's function bodies, where it is used without CMake's targets.
#define MIEN_COMPILING
#include <mien/mien.hpp>
