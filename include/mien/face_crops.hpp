// What a network sees of a face: parts of it, as the network takes its input.
#pragma once

#include <array>
#include <vector>

#include <mien/config.hpp>
#include <mien/image/image.hpp>
#include <mien/weights.hpp>

namespace mien {

/// What a network sees of a face: the center, or ten crops (the four corners and the center, and
/// their mirror images) whose logits are averaged. Ten take ten times as long and are more
/// accurate.
enum class Crops { center, ten };

/// A part of a face as large as the network's input.
struct FaceCrop {
  int left = 0;
  int top = 0;
  bool mirrored = false;
};

/// Makes a network's inputs of gray faces of its face size, as its preprocessing says.
class FaceCrops {
 public:
  MIEN_COLD explicit FaceCrops(const Preprocessing& preprocessing);

  const std::vector<FaceCrop>& of(Crops crops) const noexcept {
    return crops == Crops::ten ? ten_ : center_;
  }

  /// The face that is cropped: itself or, where the network wants its histogram equalised,
  /// `equalized`, which is overwritten and has to outlive what is returned.
  GrayView prepare(const GrayView& face, GrayImage& equalized) const;

  /// Writes a crop of a prepared face as the network takes it, [height][width], and returns where
  /// the next one goes.
  float* write(const GrayView& face, const FaceCrop& crop, float* to) const noexcept;

 private:
  int width_;
  int height_;
  bool equalizes_;
  std::array<float, 256> pixel_values_{};  // the network's input for every pixel value
  std::vector<FaceCrop> center_;
  std::vector<FaceCrop> ten_;
};

}  // namespace mien

#if MIEN_HAS_DEFINITIONS

#include <cstddef>
#include <cstdint>

#include <mien/image/equalize_histogram.hpp>

namespace mien {

MIEN_INLINE FaceCrops::FaceCrops(const Preprocessing& preprocessing)
    : width_(preprocessing.input_width),
      height_(preprocessing.input_height),
      equalizes_(preprocessing.equalize_histogram) {
  const float mean = preprocessing.mean.front();
  const float deviation = preprocessing.standard_deviation.front();
  for (std::size_t pixel = 0; pixel < pixel_values_.size(); ++pixel) {
    pixel_values_[pixel] = (static_cast<float>(pixel) / 255.0f - mean) / deviation;
  }
  const int right = preprocessing.face_size - width_;
  const int bottom = preprocessing.face_size - height_;
  center_ = {{right / 2, bottom / 2, false}};
  ten_ = {{0, 0, false},
          {right, 0, false},
          {0, bottom, false},
          {right, bottom, false},
          center_.front()};
  for (std::size_t i = 0; i < 5; ++i) ten_.push_back({ten_[i].left, ten_[i].top, true});
}

MIEN_INLINE GrayView FaceCrops::prepare(const GrayView& face, GrayImage& equalized) const {
  if (!equalizes_) return face;
  equalize_histogram(face, equalized);
  return equalized.view();
}

MIEN_INLINE float* FaceCrops::write(const GrayView& face, const FaceCrop& crop,
                                    float* to) const noexcept {
  for (int y = 0; y < height_; ++y) {
    const std::uint8_t* row = face.row(crop.top + y) + crop.left;
    for (int x = 0; x < width_; ++x) {
      *to++ = pixel_values_[row[crop.mirrored ? width_ - 1 - x : x]];
    }
  }
  return to;
}

}  // namespace mien

#endif  // MIEN_HAS_DEFINITIONS
