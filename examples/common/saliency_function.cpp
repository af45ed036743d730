#include "saliency_function.hpp"

#include <mien/models/models.hpp>
#include <mien/weights.hpp>

namespace mien::examples {

SaliencyFunction load_saliency(const ExpressionClassifier<AnyNetwork>& classifier) {
  const WeightFile file = WeightFile::load(classifier.network().file_name());
  return AllModels::visit(file.architecture(), file.name(), [&](auto tag) -> SaliencyFunction {
    using Network = typename decltype(tag)::type;
    using Saliency = FaceSaliency<Network, AnyNetwork>;
    return [saliency = Saliency(classifier, mien::Saliency<Network>(file))](
               const GrayView& photo, const Rect& box, std::size_t label, Views views) {
      typename Saliency::Workspace workspace;
      return saliency.map(photo, box, label, views, workspace);
    };
  });
}

}  // namespace mien::examples
