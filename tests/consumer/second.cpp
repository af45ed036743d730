#include <mien/mien.hpp>

double verify_in_second(const char* path) {
  return mien::Model::load(path).verify();
}
