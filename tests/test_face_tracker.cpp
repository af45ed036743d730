#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <mien/faces/face_tracker.hpp>
#include <mien/faces/overlap.hpp>
#include <mien/image/resize.hpp>

#include "vision_data.hpp"

using namespace mien;

namespace {

/// YuNet and a cascade.
const std::vector<FaceFinder>& finders() {
  static const std::vector<FaceFinder> loaded = {
      FaceFinder::load(MIEN_SOURCE_DIR "/examples/models/yunet.mien"),
      FaceFinder::load(MIEN_SOURCE_DIR "/examples/models/haarcascade_frontalface_default.haar")};
  return loaded;
}

std::string name_of(const FaceFinder& finder) {
  return finder.yunet() != nullptr ? "YuNet" : "cascade";
}

constexpr int frame_width = 320;
constexpr int frame_height = 240;

/// Searches of a whole frame are those of faces of 45 pixels and more, for the time they take.
TrackerOptions tracker_options(int refresh_interval = 1) {
  TrackerOptions options;
  options.refresh_interval = refresh_interval;
  options.finder.min_size = {45, 45};
  return options;
}

/// The photo of a face at a place and size; the face takes two fifths of its side.
struct Paste {
  double x = 0.0;
  double y = 0.0;
  double size = 0.0;
};

/// A frame of one gray value with the astronaut's head pasted into it.
GrayImage frame_with(const std::vector<Paste>& pastes) {
  static const GrayImage photo = read_pgm(MIEN_TEST_DATA "/astronaut.pgm");
  constexpr std::uint8_t background = 120;
  GrayImage frame(frame_width, frame_height);
  std::fill(frame.row(0), frame.row(0) + frame_width * frame_height, background);
  for (const Paste& paste : pastes) {
    const int side = static_cast<int>(std::lround(paste.size));
    const GrayView head(photo.row(5) + 40, 90, 90, photo.width());
    const GrayImage sized = resize_linear_exact(head, side, side);
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        const int to_x = static_cast<int>(std::lround(paste.x)) + x;
        const int to_y = static_cast<int>(std::lround(paste.y)) + y;
        if (to_x < 0 || to_x >= frame_width || to_y < 0 || to_y >= frame_height) continue;
        frame.row(to_y)[to_x] = sized.row(y)[x];
      }
    }
  }
  return frame;
}

/// What is in frame number `number` of a clip of two people: one stays until frame 60, walking to
/// and fro and growing, the other walks in at frame 15 and out by frame 70.
std::vector<Paste> clip(int number) {
  std::vector<Paste> pastes;
  if (number < 60) {
    pastes.push_back({20.0 + 20.0 * std::sin(number / 7.0), 30.0 + 10.0 * std::cos(number / 9.0),
                      130.0 + 15.0 * std::sin(number / 11.0)});
  }
  if (number >= 15 && number < 70) {
    pastes.push_back({320.0 - 6.0 * std::min(number - 15, 70 - number), 90.0, 140.0});
  }
  return pastes;
}

constexpr int clip_length = 75;

std::vector<Rect> present(const std::vector<TrackedFace>& faces) {
  std::vector<Rect> boxes;
  for (const TrackedFace& face : faces) {
    if (face.frames_missed == 0) boxes.push_back(face.detection.box);
  }
  return boxes;
}

std::vector<Detection> find_all(const FaceFinder& finder, const GrayImage& frame) {
  return finder.find(frame.view(), tracker_options().finder);
}

double best_overlap(const Rect& box, const std::vector<Rect>& boxes) {
  double best = 0.0;
  for (const Rect& other : boxes) best = std::max(best, intersection_over_union(box, other));
  return best;
}

}  // namespace

TEST_CASE("searching every frame as a whole finds what the finder does, and keeps identities") {
  for (const FaceFinder& finder : finders()) {
    CAPTURE(name_of(finder));
    FaceTracker tracker(finder, tracker_options());
    for (int number = 20; number < 34; ++number) {
      CAPTURE(number);
      const GrayImage frame = frame_with(clip(number));
      std::vector<Rect> expected;
      for (const Detection& face : find_all(finder, frame)) {
        expected.push_back(face.box);
      }
      std::vector<Rect> found = present(tracker.update(frame.view()));
      CHECK(tracker.searched_whole_frame());
      CHECK(found.size() == expected.size());
      for (const Rect& box : expected) CHECK(best_overlap(box, found) == 1.0);
      REQUIRE(!tracker.faces().empty());
      CHECK(tracker.faces()[0].identity == 1);
    }
    CHECK(tracker.faces().size() == 2);
    CHECK(tracker.faces()[1].identity == 2);
  }
}

TEST_CASE("looking near the last places misses no face for longer than the refresh interval") {
  for (const FaceFinder& finder : finders()) {
    CAPTURE(name_of(finder));
    for (const int interval : {5, 12}) {
      FaceTracker tracker(finder, tracker_options(interval));
      std::vector<int> whole_frames;
      int missed = 0;  // frames in a row with a face that only a search of the whole frame finds
      int invented = 0;
      int most_missed = 0;
      for (int number = 0; number < clip_length; ++number) {
        CAPTURE(interval);
        CAPTURE(number);
        const GrayImage frame = frame_with(clip(number));
        const std::vector<Rect> found = present(tracker.update(frame.view()));
        if (tracker.searched_whole_frame()) whole_frames.push_back(number);
        bool misses = false;
        std::vector<Rect> expected;
        for (const Detection& face : find_all(finder, frame)) {
          expected.push_back(face.box);
          misses = misses || best_overlap(face.box, found) < 0.5;
        }
        missed = misses ? missed + 1 : 0;
        most_missed = std::max(most_missed, missed);
        for (const Rect& box : found) invented += best_overlap(box, expected) < 0.5;
      }
      CHECK(most_missed < interval);
      CHECK(most_missed > 0);  // the second face came between two searches
      CHECK(invented <= 6);    // a few frames around appearing and leaving
      // Searched when due and when a face was lost, no more.
      CHECK(whole_frames.size() >= static_cast<std::size_t>(clip_length / interval));
      CHECK(whole_frames.size() <= static_cast<std::size_t>(clip_length / interval + 8));
      CHECK(whole_frames.front() == 0);
      // Two people, each with one number.
      for (const TrackedFace& face : tracker.faces()) CHECK(face.identity <= 2);
    }
  }
}

TEST_CASE("a face that is gone for a moment keeps its identity, later it is a new one") {
  for (const FaceFinder& finder : finders()) {
    CAPTURE(name_of(finder));
    TrackerOptions options = tracker_options(4);
    options.patience = 3;
    FaceTracker tracker(finder, options);
    const GrayImage with_face = frame_with({{40, 30, 140}});
    const GrayImage without = frame_with({});
    REQUIRE(tracker.update(with_face.view()).size() == 1);
    CHECK(tracker.faces()[0].frames_missed == 0);
    for (int missed = 1; missed <= 3; ++missed) {
      REQUIRE(tracker.update(without.view()).size() == 1);
      CHECK(tracker.faces()[0].frames_missed == missed);
      // Lost: the first frame without it is searched as a whole, the others are not.
      CHECK(tracker.searched_whole_frame() == (missed == 1));
    }
    for (int frame = 0; frame < 4; ++frame) tracker.update(with_face.view());
    REQUIRE(tracker.faces().size() == 1);
    CHECK(tracker.faces()[0].identity == 2);
    CHECK(tracker.faces()[0].frames_missed == 0);
    tracker.update(without.view());
    for (int frame = 0; frame < 3; ++frame) tracker.update(with_face.view());
    CHECK(present(tracker.faces()).empty());  // not searched as a whole yet
    tracker.update(with_face.view());
    REQUIRE(tracker.faces().size() == 1);
    CHECK(tracker.faces()[0].identity == 3);
    for (int frame = 0; frame < 4; ++frame) tracker.update(without.view());
    CHECK(tracker.faces().empty());
  }
}

TEST_CASE("frames may change their size, and be empty") {
  for (const FaceFinder& finder : finders()) {
    CAPTURE(name_of(finder));
    FaceTracker tracker(finder, tracker_options(100));
    REQUIRE(tracker.update(frame_with({{40, 30, 140}}).view()).size() == 1);
    const GrayImage photo = read_pgm(MIEN_TEST_DATA "/grace_hopper.pgm");
    tracker.update(photo.view());
    CHECK(tracker.searched_whole_frame());
    CHECK(present(tracker.faces()).size() == 1);
    CHECK(present(tracker.update(GrayView())).empty());
  }
}

TEST_CASE("faces are followed inside the region and the sizes that were asked for") {
  for (const FaceFinder& finder : finders()) {
    CAPTURE(name_of(finder));
    TrackerOptions options = tracker_options(100);
    options.finder.region = {30, 20, 160, 160};
    FaceTracker tracker(finder, options);
    for (int step = 0; step < 20; ++step) {
      CAPTURE(step);
      tracker.update(frame_with({{40.0 + 8.0 * step, 30, 140}}).view());
      for (const Rect& box : present(tracker.faces())) {
        // YuNet's boxes may reach beyond what it sees.
        const int beyond = finder.yunet() != nullptr ? box.width / 2 : 0;
        CHECK(box.x >= 30 - beyond);
        CHECK(box.x + box.width <= 190 + beyond);
      }
      if (step == 0) CHECK(present(tracker.faces()).size() == 1);
    }
    CHECK(present(tracker.faces()).empty());
  }
}

TEST_CASE("a tracker names options out of their ranges") {
  const FaceFinder& finder = finders().front();
  const auto message = [&](const auto& change) {
    TrackerOptions options;
    change(options);
    try {
      FaceTracker(finder, options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message([](TrackerOptions&) {}).empty());
  CHECK(message([](TrackerOptions& o) { o.refresh_interval = 0; }) ==
        "refresh_interval: expected 1 or more, found 0");
  CHECK(message([](TrackerOptions& o) { o.patience = -1; }) ==
        "patience: expected 0 or more, found -1");
  CHECK(message([](TrackerOptions& o) { o.min_overlap = 0.0; }).find("min_overlap") == 0);
  CHECK(message([](TrackerOptions& o) { o.min_overlap = std::nan(""); }).find("min_overlap") == 0);
  CHECK(message([](TrackerOptions& o) { o.finder.haar.min_neighbors = 0; }) ==
        "min_neighbors: expected 1 or more to follow faces, found 0");
  CHECK(message([](TrackerOptions& o) {
          o.finder.haar.min_confirmations = -1;
        }).find("min_confirmations") == 0);
}
