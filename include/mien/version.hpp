// The library's version, by semantic versioning; the same as in CMakeLists.txt.
#pragma once

#define MIEN_VERSION_MAJOR 0
#define MIEN_VERSION_MINOR 1
#define MIEN_VERSION_PATCH 0
