// Weight files (.mien), with their size and checksum mended, byte by byte: what a file says of
// itself. Those whose network is small enough are run and replay their test vectors.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <mien/ensemble.hpp>
#include <mien/graph/graph.hpp>
#include <mien/model.hpp>
#include <mien/weights.hpp>

#include "cost.hpp"
#include "sealed_bytes.hpp"
#include "target.hpp"

namespace {

using namespace mien;

/// Of the size that the file fixes, or of one for all free inputs.
std::vector<TensorShape> input_shapes(const Graph& graph, const InputSize& size) {
  std::vector<TensorShape> shapes;
  for (const GraphInput& input : graph.inputs) {
    shapes.push_back(input.has_free_size()
                         ? TensorShape{input.shape.channels, size.height, size.width}
                         : input.shape);
  }
  return shapes;
}

/// Whether loading the file and replaying all its vectors is cheap.
bool is_cheap(const WeightFile& file, const InputSize& size) {
  if (!fuzz::is_cheap(file.graph(), input_shapes(file.graph(), size))) return false;
  if (file.test_vectors().size() > 8) return false;
  return std::all_of(file.test_vectors().begin(), file.test_vectors().end(),
                     [&](const TestVector& vector) {
                       std::vector<TensorShape> shapes;
                       for (const TestVector::Input& input : vector.inputs) {
                         shapes.push_back(input.shape);
                       }
                       return fuzz::is_cheap(file.graph(), shapes);
                     });
}

void run(const WeightFile& file, const InputSize& size) {
  const Model model(file);
  std::vector<std::vector<float>> inputs;
  std::vector<NamedInput> named_inputs;
  for (const TensorShape& shape : input_shapes(file.graph(), size)) {
    inputs.emplace_back(shape.size(), 0.5f);
    named_inputs.push_back({file.graph().inputs[inputs.size() - 1].name, inputs.back().data()});
  }
  Model::Workspace workspace;
  const std::string& output = file.graph().outputs.front().name;
  std::vector<float> outputs(model.program(size)->output_shapes().front().size());
  const NamedOutput named_output = {output, outputs.data()};
  model.forward(size, named_inputs.data(), named_inputs.size(), &named_output, 1, workspace);
  model.verify();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, data + size);
  if (size >= BinaryReader::header_size) reseal(bytes);
  try {
    const WeightFile file = WeightFile::from_memory(bytes.data(), bytes.size());
    const InputSize input_size = {9, 12};
    if (is_cheap(file, input_size)) run(file, input_size);
  } catch (const Error&) {
  }
  return 0;
}
