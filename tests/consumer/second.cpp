#include <mien/mien.hpp>

double verify_in_second(const char* path) { return mien::MiniFer::load(path).verify(); }
