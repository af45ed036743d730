// What padding and nearest-neighbour resizing do: every output pixel is one input pixel, or a
// constant. Only layers that use it include it, where definitions are seen.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <mien/graph/node.hpp>
#include <mien/graph/step.hpp>

namespace mien::detail {

/// For each output row the input's row, for each output column its column; -1: the constant.
struct PixelMap {
  std::vector<int> rows;
  std::vector<int> columns;
  float constant = 0.0f;
};

class PixelMapStep final : public Step {
 public:
  PixelMapStep(PixelMap map, const TensorShape& input)
      : map_(std::move(map)), input_(input), channels_(input.channels) {
    for (std::size_t x = 0; x < map_.columns.size(); ++x) {
      const int from = map_.columns[x];
      const bool goes_on =
          !runs_.empty() &&
          (from < 0 ? runs_.back().from < 0
                    : runs_.back().from >= 0 && from == runs_.back().from + runs_.back().pixels);
      if (goes_on) {
        ++runs_.back().pixels;
      } else {
        runs_.push_back({from, 1});
      }
    }
  }

  void run(int count, const float* const* inputs, const float*, float*,
           float* output) const noexcept override {
    const std::ptrdiff_t row_size = row_length();
    const float* input = inputs[0];
    for (int i = 0; i < count; ++i, input += input_.size()) {
      for (std::size_t y = 0; y < map_.rows.size(); ++y, output += row_size) {
        if (y > 0 && map_.rows[y] == map_.rows[y - 1]) {
          std::copy_n(output - row_size, row_size, output);
        } else if (map_.rows[y] < 0) {
          std::fill_n(output, row_size, map_.constant);
        } else {
          copy_row(input + std::ptrdiff_t{map_.rows[y]} * input_.width * channels_, output);
        }
      }
    }
  }

  const PixelMap& map() const noexcept { return map_; }
  const TensorShape& input() const noexcept { return input_; }

 private:
  /// Neighbours in the input that are neighbours in the output, too.
  struct Run {
    int from;
    int pixels;
  };

  std::ptrdiff_t row_length() const noexcept {
    return static_cast<std::ptrdiff_t>(map_.columns.size()) * channels_;
  }

  void copy_row(const float* input, float* output) const noexcept {
    for (const Run& run : runs_) {
      const std::ptrdiff_t size = run.pixels * channels_;
      if (run.from < 0) {
        std::fill_n(output, size, map_.constant);
      } else {
        std::copy_n(input + run.from * channels_, size, output);
      }
      output += size;
    }
  }

  PixelMap map_;
  TensorShape input_;
  std::ptrdiff_t channels_;
  std::vector<Run> runs_;
};

class PixelMapGradient final : public StepGradient<PixelMapStep> {
 public:
  using StepGradient::StepGradient;

  /// Every input pixel gets the sum of the gradients of the outputs that it is.
  void backward(const float* const*, const float*, const float* output_gradient, float*,
                float* const* input_gradients) const noexcept override {
    const TensorShape& input = step().input();
    const std::ptrdiff_t channels = input.channels;
    std::fill_n(input_gradients[0], input.size(), 0.0f);
    for (const int row : step().map().rows) {
      for (const int column : step().map().columns) {
        if (row >= 0 && column >= 0) {
          float* const to =
              input_gradients[0] + (std::ptrdiff_t{row} * input.width + column) * channels;
          for (std::ptrdiff_t c = 0; c < channels; ++c) to[c] += output_gradient[c];
        }
        output_gradient += channels;
      }
    }
  }
};

}  // namespace mien::detail
