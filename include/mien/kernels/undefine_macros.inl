// Takes back what define_macros.inl defines.

#undef MIEN_UNROLL
#undef MIEN_ALWAYS_INLINE
