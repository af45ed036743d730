// What the fast kernels need of compilers beyond C++17; undefine_macros.inl takes it back.

// Loops over register tiles must be unrolled for their arrays to become registers; GCC does that
// at -O2 only when told to.
#if defined(__clang__)
#define MIEN_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define MIEN_UNROLL _Pragma("GCC unroll 16")
#else
#define MIEN_UNROLL
#endif

// Compilers stop inlining in large units; a vector's operation must never become a call.
#if defined(__GNUC__) || defined(__clang__)
#define MIEN_ALWAYS_INLINE inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define MIEN_ALWAYS_INLINE __forceinline
#else
#define MIEN_ALWAYS_INLINE inline
#endif
