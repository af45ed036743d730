#include <cstdio>

#include <mien/mien.hpp>

double verify_in_second(const char* path);

int main(int argc, char** argv) try {
  if (argc != 2) throw mien::Error("usage: consumer MODEL.mien");
  const double typed = mien::MiniFer::load(argv[1]).verify();
  const double there = verify_in_second(argv[1]);
  std::printf("verified: %g %g\n", typed, there);
} catch (const mien::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
