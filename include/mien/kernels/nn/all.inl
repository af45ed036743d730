// Every kernel of the neural network over the Vector that was defined just before.
#ifndef MIEN_SET  // parsed by itself
#include <mien/kernels/parse_alone.inl>
//
#include <mien/kernels/baseline/vector.inl>
//
#include <mien/kernels/baseline/bytes.inl>
#include <mien/kernels/baseline/dot.inl>
#endif

#include <mien/kernels/nn/compute_bound.inl>
//
#include <mien/kernels/nn/memory_bound.inl>

namespace mien::kernels::MIEN_SET {

constexpr KernelTable make_nn_table() noexcept {
  KernelTable table{};
  fill_compute_bound(table);
  fill_memory_bound(table);
  return table;
}
inline constexpr KernelTable nn_table = make_nn_table();

}  // namespace mien::kernels::MIEN_SET
