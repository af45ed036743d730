// All of the library, and its templates as programs use them, for compilers to warn of.
#include <functional>
#include <string>
#include <vector>

#include <mien/mien.hpp>

#include "../one_layer.hpp"

namespace {

using namespace mien;

template <class Typed>
double use(const std::string& path) {
  const Typed network = Typed::load(path);
  ThreadPool pool(2);
  typename Typed::Workspace workspace(/*batch=*/2, pool.threads());
  std::vector<float> inputs(2 * Typed::Input::size);
  std::vector<float> outputs(2 * Typed::Output::size);
  network.forward(inputs.data(), outputs.data(), workspace);
  network.forward(2, inputs.data(), outputs.data(), workspace);
  network.forward(2, inputs.data(), outputs.data(), workspace, std::ref(pool));
  const Model& model = network;
  return network.verify() + static_cast<double>(Typed::parameter_count + Typed::multiply_adds) +
         static_cast<double>(model.parameter_count() + network.labels().size());
}

template <class... Typed>
double use_all(const std::string& path) {
  return (use<Typed>(path) + ...);
}

}  // namespace

int main(int, char** argv) {
  double sum = use<MiniFer>(argv[1]);
// The other templates are the same with and without definitions: once is enough.
#if !MIEN_HAS_DEFINITIONS
  sum += use_all<AlexNet, FerNet, FerNet256, InceptionFer, ResNet33, Vgg10, VggNet>(argv[1]);
#define LAYER_CASE(file, ...) sum += use<OneLayer<__VA_ARGS__>>(file);
#include "../data/layer_cases.inc"
#undef LAYER_CASE
#endif
  return sum > 0.0 ? 0 : 1;
}
