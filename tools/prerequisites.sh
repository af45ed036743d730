# Sourced by the other scripts: installs what a fresh Debian or Ubuntu lacks.

# install_packages PACKAGE...: those of them that are missing.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null |
      grep -qx installed || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
  echo "Installing ${missing[*]}"
  "${as_root[@]}" apt-get update -q
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -q -y --no-install-recommends \
    "${missing[@]}"
}

# True if there is a CMake of 3.25 or newer.
has_recent_cmake() {
  command -v cmake >/dev/null || return 1
  local version
  version=$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')
  [ "$(printf '%s\n3.25\n' "$version" | sort -V | head -n 1)" = 3.25 ]
}

# Everything that building the programs and the C++ tests needs.
install_build_tools() {
  install_packages g++ ninja-build libeigen3-dev libcli11-dev nlohmann-json3-dev libstb-dev \
    libfccp-dev doctest-dev
  if has_recent_cmake; then return; fi
  install_packages cmake
  if has_recent_cmake; then return; fi
  # Ubuntu 22.04's CMake is older than what the presets need.
  install_packages python3-venv
  python3 -m venv build/cmake
  build/cmake/bin/pip install --quiet 'cmake>=3.25'
  export PATH="$PWD/build/cmake/bin:$PATH"
}

# Clang with libFuzzer and the sanitizers' libraries, which Debian has in a package of their own.
install_clang_with_sanitizers() {
  install_packages clang
  echo 'int main() {}' | clang++ -x c++ -fsanitize=address - -o /dev/null 2>/dev/null ||
    install_packages libclang-rt-dev
}

# What tests need besides: ffmpeg makes a clip for the program `video`.
install_test_tools() {
  install_packages ffmpeg
}

# The virtual environment .venv with the Python package, PyTorch's CPU build and the test tools.
make_virtual_environment() {
  install_packages python3-venv
  if [ ! -x .venv/bin/python ]; then python3 -m venv .venv; fi
  # PyTorch's own index has builds without the CUDA libraries, gigabytes of them.
  .venv/bin/pip install --quiet --retries 1 \
    --extra-index-url https://download.pytorch.org/whl/cpu 'torch==2.13.0'
  .venv/bin/pip install --quiet --editable 'tools[dev]'
}
