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

// Compilers fuse a product with the addition behind it, which then rounds once instead of twice:
// not a product that lies in a register of the `constraint` here.
#if defined(__GNUC__) || defined(__clang__)
#define MIEN_FORBID_FUSION(constraint, product) __asm__("" : constraint(product))
#else
#define MIEN_FORBID_FUSION(constraint, product) static_cast<void>(0)
#endif

// Functions between these may use the instructions that `features` names. Nothing from Eigen or std
// may be instantiated there, std::min included: its weak symbols would be shared with the user's
// code, and the linker would choose between versions for different machines.
#define MIEN_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define MIEN_BEGIN_TARGET(features) \
  MIEN_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define MIEN_END_TARGET MIEN_PRAGMA(clang attribute pop)
#else
#define MIEN_BEGIN_TARGET(features) \
  MIEN_PRAGMA(GCC push_options)     \
  MIEN_PRAGMA(GCC target(features))
#define MIEN_END_TARGET MIEN_PRAGMA(GCC pop_options)
#endif
