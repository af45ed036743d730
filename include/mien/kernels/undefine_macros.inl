// Takes back what define_macros.inl defines.

#undef MIEN_UNROLL
#undef MIEN_ALWAYS_INLINE
#undef MIEN_FORBID_FUSION
#undef MIEN_PRAGMA
#undef MIEN_BEGIN_TARGET
#undef MIEN_END_TARGET
