// Metrics against the report's published confusion matrix and figures worked out by hand.
#include <doctest/doctest.h>

#include <mien/metrics.hpp>

using mien::ConfusionMatrix;

TEST_CASE("a published confusion matrix gives its published accuracy") {
  // FER2013's PublicTest, rows are the truth; 2464 of 3589 are right, 68.65 %.
  constexpr std::size_t published[7][7] = {
      {291, 6, 37, 17, 63, 15, 38}, {20, 26, 2, 2, 4, 1, 1},      {48, 1, 230, 15, 113, 43, 46},
      {17, 1, 9, 771, 19, 19, 59},  {69, 0, 53, 14, 416, 11, 90}, {11, 1, 30, 14, 9, 342, 8},
      {46, 1, 21, 44, 98, 9, 388}};
  ConfusionMatrix matrix(7);
  for (std::size_t truth = 0; truth < 7; ++truth) {
    for (std::size_t c = 0; c < 7; ++c) matrix.add(truth, c, published[truth][c]);
  }
  CHECK(matrix.total() == 3589);
  CHECK(matrix.correct() == 2464);
  CHECK(matrix.accuracy() == doctest::Approx(0.6865).epsilon(1e-4));
  CHECK(matrix.support(3) == 895);
  CHECK(matrix.recall(3) == doctest::Approx(771.0 / 895.0));
  CHECK(matrix.precision(3) == doctest::Approx(771.0 / 877.0));
  CHECK(matrix.f1(3) == doctest::Approx(2.0 * 771.0 / (895.0 + 877.0)));
  CHECK(matrix.micro_f1() == matrix.accuracy());
}

TEST_CASE("averages count every class the same") {
  // Worked out by hand: precisions 1/2 and 1, recalls 1 and 1/3, F1 2/3 and 1/2.
  ConfusionMatrix matrix(2);
  matrix.add(0, 0, 2);
  matrix.add(1, 0, 2);
  matrix.add(1, 1, 1);
  CHECK(matrix.macro_precision() == doctest::Approx(0.75));
  CHECK(matrix.macro_recall() == doctest::Approx(2.0 / 3.0));
  CHECK(matrix.macro_f1() == doctest::Approx(7.0 / 12.0));
}

TEST_CASE("a class without cases or predictions counts as zero") {
  ConfusionMatrix matrix(3);
  matrix.add(0, 0);
  matrix.add(1, 0);
  CHECK(matrix.precision(1) == 0.0);
  CHECK(matrix.recall(2) == 0.0);
  CHECK(matrix.f1(2) == 0.0);
  CHECK(ConfusionMatrix(2).accuracy() == 0.0);
}

TEST_CASE("a class that there is not is an error") {
  ConfusionMatrix matrix(3);
  CHECK_THROWS_WITH_AS(matrix.add(0, 3), "predicted class: expected less than 3, found 3",
                       mien::Error);
  CHECK_THROWS_WITH_AS(matrix.add(3, 0), "true class: expected less than 3, found 3", mien::Error);
  CHECK_THROWS_AS(matrix.recall(3), mien::Error);
  CHECK(matrix.total() == 0);
}
