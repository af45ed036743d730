// How good a classifier is: confusion matrix, accuracy, precision, recall, F1.
#pragma once

#include <cstddef>
#include <vector>

#include <mien/error.hpp>

namespace mien {

/// Counts of (true class, predicted class). A quotient without cases, such as the precision of a
/// class that was never predicted, counts as 0, as in scikit-learn's zero_division=0. A class that
/// there is not is an Error.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(std::size_t classes) : classes_(classes), counts_(classes * classes) {}

  void add(std::size_t truth, std::size_t predicted, std::size_t count = 1) {
    counts_[place(truth, predicted)] += count;
  }

  std::size_t classes() const noexcept { return classes_; }
  std::size_t count(std::size_t truth, std::size_t predicted) const {
    return counts_[place(truth, predicted)];
  }

  std::size_t total() const {
    std::size_t sum = 0;
    for (const std::size_t count : counts_) sum += count;
    return sum;
  }

  std::size_t correct() const {
    std::size_t sum = 0;
    for (std::size_t c = 0; c < classes_; ++c) sum += count(c, c);
    return sum;
  }

  /// Cases that truly are of a class (a row's sum).
  std::size_t support(std::size_t truth) const {
    std::size_t sum = 0;
    for (std::size_t c = 0; c < classes_; ++c) sum += count(truth, c);
    return sum;
  }

  /// Cases predicted to be of a class (a column's sum).
  std::size_t predictions(std::size_t predicted) const {
    std::size_t sum = 0;
    for (std::size_t c = 0; c < classes_; ++c) sum += count(c, predicted);
    return sum;
  }

  double accuracy() const { return ratio(correct(), total()); }
  double precision(std::size_t c) const { return ratio(count(c, c), predictions(c)); }
  double recall(std::size_t c) const { return ratio(count(c, c), support(c)); }
  /// Harmonic mean of precision and recall.
  double f1(std::size_t c) const { return ratio(2 * count(c, c), support(c) + predictions(c)); }

  /// Means over the classes, each counting the same.
  double macro_precision() const { return mean(&ConfusionMatrix::precision); }
  double macro_recall() const { return mean(&ConfusionMatrix::recall); }
  double macro_f1() const { return mean(&ConfusionMatrix::f1); }

  /// Precision, recall and F1 of all cases pooled. Where every case has one class and one
  /// prediction, as here, each equals the accuracy.
  double micro_precision() const { return accuracy(); }
  double micro_recall() const { return accuracy(); }
  double micro_f1() const { return accuracy(); }

 private:
  std::size_t place(std::size_t truth, std::size_t predicted) const {
    detail::require_index("true class", truth, classes_);
    detail::require_index("predicted class", predicted, classes_);
    return truth * classes_ + predicted;
  }

  static double ratio(std::size_t part, std::size_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  }

  double mean(double (ConfusionMatrix::*metric)(std::size_t) const) const {
    double sum = 0.0;
    for (std::size_t c = 0; c < classes_; ++c) sum += (this->*metric)(c);
    return classes_ == 0 ? 0.0 : sum / static_cast<double>(classes_);
  }

  std::size_t classes_;
  std::vector<std::size_t> counts_;
};

}  // namespace mien
