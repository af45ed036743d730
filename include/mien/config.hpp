// Header-only or compiled: where the bodies of functions are that cost compile time.
//
// As it comes, every source file that includes Mien sees all of it. With MIEN_COMPILED defined (the
// CMake target mien::compiled does so) it sees declarations alone, and links a library made of one
// source file:
//
//   #define MIEN_COMPILING
//   #include <mien/mien.hpp>
#pragma once

#if defined(MIEN_COMPILED) && !defined(MIEN_COMPILING)
#define MIEN_HAS_DEFINITIONS 0
#else
#define MIEN_HAS_DEFINITIONS 1
#endif

// Whether errors are thrown, or given to mien::handle_error (error.hpp).
#if defined(__cpp_exceptions)
#define MIEN_HAS_EXCEPTIONS 1
#else
#define MIEN_HAS_EXCEPTIONS 0
#endif

// Functions that put messages together or run once for a file, a cascade or a check of options:
// compiled for size and never worth inlining, which makes every file that includes the library
// quicker to compile.
#if defined(__GNUC__) || defined(__clang__)
#define MIEN_COLD [[gnu::cold]]
#else
#define MIEN_COLD
#endif

#if defined(MIEN_COMPILING)
#define MIEN_INLINE
#else
#define MIEN_INLINE inline
#endif
