// What a network sees of a face: parts of it, as the network takes its input.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <mien/vision/equalize_histogram.hpp>
#include <mien/vision/image.hpp>
#include <mien/weights.hpp>

namespace mien {

/// What a network sees of a face: the centre, or ten crops (the four corners and the centre, and
/// their mirror images) whose logits are averaged. Ten take ten times as long and are more
/// accurate.
enum class Views { centre, ten };

/// A part of a face as large as the network's input.
struct FaceView {
  int left = 0;
  int top = 0;
  bool mirrored = false;
};

/// Makes a network's inputs of gray faces of its face size, as its preprocessing says.
class FaceViews {
 public:
  explicit FaceViews(const Preprocessing& preprocessing)
      : width_(preprocessing.input_width),
        height_(preprocessing.input_height),
        equalizes_(preprocessing.equalize_histogram) {
    for (std::size_t pixel = 0; pixel < pixel_values_.size(); ++pixel) {
      pixel_values_[pixel] = (static_cast<float>(pixel) / 255.0f - preprocessing.mean) /
                             preprocessing.standard_deviation;
    }
    const int right = preprocessing.face_size - width_;
    const int bottom = preprocessing.face_size - height_;
    centre_ = {{right / 2, bottom / 2, false}};
    ten_ = {{0, 0, false},
            {right, 0, false},
            {0, bottom, false},
            {right, bottom, false},
            centre_.front()};
    for (std::size_t i = 0; i < 5; ++i) ten_.push_back({ten_[i].left, ten_[i].top, true});
  }

  const std::vector<FaceView>& of(Views views) const noexcept {
    return views == Views::ten ? ten_ : centre_;
  }

  /// The face of which views are written: itself or, where the network wants its histogram
  /// equalised, `equalized`, which is overwritten and has to outlive what is returned.
  GrayView prepare(const GrayView& face, GrayImage& equalized) const {
    if (!equalizes_) return face;
    equalize_histogram(face, equalized);
    return equalized.view();
  }

  /// Writes a view of a prepared face as the network takes it, [height][width], and returns where
  /// the next one goes.
  float* write(const GrayView& face, const FaceView& view, float* to) const noexcept {
    for (int y = 0; y < height_; ++y) {
      const std::uint8_t* row = face.row(view.top + y) + view.left;
      for (int x = 0; x < width_; ++x) {
        *to++ = pixel_values_[row[view.mirrored ? width_ - 1 - x : x]];
      }
    }
    return to;
  }

 private:
  int width_;
  int height_;
  bool equalizes_;
  std::array<float, 256> pixel_values_{};  // the network's input for every pixel value
  std::vector<FaceView> centre_;
  std::vector<FaceView> ten_;
};

}  // namespace mien
