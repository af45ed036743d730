// Measures how well networks read the expressions of labelled faces.
#include <algorithm>
#include <cstddef>
#include <functional>
#include <iomanip>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <mien/mien.hpp>

#include "common/confusion_picture.hpp"
#include "common/crops_option.hpp"
#include "common/face_output.hpp"
#include "common/fer_csv.hpp"
#include "common/model_option.hpp"
#include "common/output_file.hpp"
#include "common/program.hpp"
#include "common/progress.hpp"

namespace {

using namespace mien::examples;

constexpr const char* program_name = "evaluate";
using Scores = std::vector<float>;  // one for each label

struct Options {
  std::string data;
  std::vector<std::string> models;
  mien::Crops crops = mien::Crops::center;
  std::string usage;
  int threads = std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
  std::string logits;
  std::string confusion;
  bool json = false;
};

/// What a network, or all of them together, made of the faces.
struct Result {
  std::string network;
  std::string file;  ///< empty for the ensemble
  std::size_t parameters = 0;
  double milliseconds_per_face = 0.0;
  mien::ConfusionMatrix matrix;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("DATA.csv", options.data, "a file with the columns emotion,pixels,Usage")
      ->required();
  add_model_option(app, options.models,
                   "compares the networks, and their ensemble: the mean of their probabilities");
  add_crops_option(app, options.crops);
  app.add_option("--usage", options.usage,
                 "rows with this in the column Usage, or 'all'; default: PublicTest, or all if "
                 "there are none")
      ->type_name("NAME");
  app.add_option("--threads", options.threads, "threads; default: one a core")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  app.add_option("--logits", options.logits,
                 "write every row's truth, prediction and logits into this CSV file; for several "
                 "networks into OUT-1.csv, OUT-2.csv ... in the order of the command line")
      ->type_name("OUT.csv");
  app.add_option("--confusion", options.confusion,
                 "draw the confusion matrix into this PNG file; for several networks into "
                 "OUT-1.png, OUT-2.png ... in the order of the command line, the last one that of "
                 "the ensemble")
      ->type_name("OUT.png");
  app.add_flag("--json", options.json, "print one JSON object");
  app.callback([&options] {
    if (!options.confusion.empty()) require_png_path("--confusion", options.confusion);
  });
}

/// The rows that the user asked for, and what they are called.
std::vector<LabelledFace> select(std::vector<LabelledFace> faces, const Options& options,
                                 std::string& usage) {
  std::map<std::string, std::size_t> counts;
  for (const LabelledFace& face : faces) ++counts[face.usage];
  usage = options.usage;
  if (usage.empty()) usage = counts.count("PublicTest") != 0 ? "PublicTest" : "all";
  if (usage != "all") {
    faces.erase(std::remove_if(faces.begin(), faces.end(),
                               [&](const LabelledFace& face) { return face.usage != usage; }),
                faces.end());
  }
  if (faces.empty()) {
    std::string found;
    for (const auto& [name, count] : counts) {
      found += (found.empty() ? "" : ", ") + (name.empty() ? "no usage" : name) + " (" +
               std::to_string(count) + ")";
    }
    throw mien::Error(options.data + ": expected rows of usage " + usage + ", found " +
                      (found.empty() ? "no rows" : found));
  }
  return faces;
}

/// Every face's logits.
std::vector<Scores> classify(const mien::ExpressionClassifier& classifier,
                             const std::vector<LabelledFace>& faces, const Options& options,
                             Progress& progress) {
  // In batches that leave no thread idle and whose inputs fit into memory.
  const std::size_t most = options.crops == mien::Crops::ten ? 16 : 128;
  // No more threads than crops at once.
  const std::size_t crops = classifier.face_crops().of(options.crops).size();
  const auto threads = static_cast<int>(
      std::min(static_cast<std::size_t>(options.threads), std::min(most, faces.size()) * crops));
  mien::ThreadPool pool(threads);
  mien::ExpressionClassifier::Workspace workspace(threads);
  std::vector<Scores> logits;
  while (logits.size() < faces.size()) {
    std::vector<mien::GrayImage> images;
    std::vector<mien::GrayView> views;
    const std::size_t end = std::min(logits.size() + most, faces.size());
    for (std::size_t i = logits.size(); i < end; ++i) {
      const mien::GrayView face = faces[i].face.view();
      images.push_back(classifier.face(face, {0, 0, face.width, face.height}));
    }
    for (const mien::GrayImage& image : images) views.push_back(image.view());
    for (Scores& scores : classifier.logits(views, options.crops, workspace, std::ref(pool))) {
      logits.push_back(std::move(scores));
    }
    progress.advance(images.size());
  }
  return logits;
}

mien::ConfusionMatrix confusion(const std::vector<LabelledFace>& faces,
                                const std::vector<Scores>& scores, std::size_t classes) {
  mien::ConfusionMatrix matrix(classes);
  for (std::size_t i = 0; i < faces.size(); ++i)
    matrix.add(faces[i].label, mien::largest_index(scores[i]));
  return matrix;
}

void write_logits(const std::string& path, const std::vector<LabelledFace>& faces,
                  const std::vector<Scores>& logits, const std::vector<std::string>& labels) {
  std::ostringstream csv;
  csv << std::setprecision(9) << "truth,prediction";
  for (const std::string& label : labels) csv << "," << label;
  for (std::size_t i = 0; i < faces.size(); ++i) {
    csv << "\n" << faces[i].label << "," << mien::largest_index(logits[i]);
    for (const float logit : logits[i]) csv << "," << logit;
  }
  csv << "\n";
  write_file(path, csv.str());
}

/// The result of every network and, where there are several, of the ensemble.
std::vector<Result> evaluate(const mien::Ensemble& networks, const std::vector<LabelledFace>& faces,
                             const Options& options) {
  const std::vector<std::string>& labels = networks.labels();
  const std::size_t count = networks.members().size();
  const auto face_count = static_cast<double>(faces.size());
  Progress progress("classifying", count * faces.size());
  std::vector<Result> results;
  std::vector<std::vector<Scores>> probabilities(faces.size());  // of every network for a face
  for (const mien::ExpressionClassifier& classifier : networks.members()) {
    const mien::Model& network = classifier.network();
    std::vector<Scores> logits;
    const double milliseconds =
        milliseconds_of([&] { logits = classify(classifier, faces, options, progress); });
    results.push_back({network.name(), network.file_name(), network.parameter_count(),
                       milliseconds / face_count, confusion(faces, logits, labels.size())});
    for (std::size_t i = 0; i < faces.size(); ++i) {
      probabilities[i].push_back(classifier.probabilities(logits[i]));
    }
    if (!options.logits.empty()) {
      write_logits(numbered_path(options.logits, results.size(), count), faces, logits, labels);
    }
  }
  if (count > 1) {
    std::vector<Scores> means;
    for (const std::vector<Scores>& members : probabilities) {
      means.push_back(mien::mean_probabilities(members));
    }
    Result ensemble{"ensemble", "", 0, 0.0, confusion(faces, means, labels.size())};
    for (const Result& member : results) {
      ensemble.parameters += member.parameters;
      ensemble.milliseconds_per_face += member.milliseconds_per_face;
    }
    results.push_back(ensemble);
  }
  return results;
}

std::string percent(double share) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2) << 100.0 * share << " %";
  return text.str();
}

void write_confusion(const std::string& path, const std::vector<Result>& results,
                     const std::vector<std::string>& labels, const std::string& usage) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Result& result = results[i];
    const std::string title = result.network + " on " + std::to_string(result.matrix.total()) +
                              " faces (" + usage + "): " + percent(result.matrix.accuracy()) +
                              " correct";
    write_png(numbered_path(path, i + 1, results.size()),
              draw_confusion(result.matrix, labels, title));
  }
}

nlohmann::ordered_json to_json(const Result& result, const std::vector<std::string>& labels) {
  const mien::ConfusionMatrix& matrix = result.matrix;
  nlohmann::ordered_json json;
  json["network"] = result.network;
  if (!result.file.empty()) json["file"] = result.file;
  json["parameters"] = result.parameters;
  json["milliseconds_per_face"] = result.milliseconds_per_face;
  json["correct"] = matrix.correct();
  json["accuracy"] = matrix.accuracy();
  json["macro_precision"] = matrix.macro_precision();
  json["macro_recall"] = matrix.macro_recall();
  json["macro_f1"] = matrix.macro_f1();
  json["micro_precision"] = matrix.micro_precision();
  json["micro_recall"] = matrix.micro_recall();
  json["micro_f1"] = matrix.micro_f1();
  for (std::size_t c = 0; c < labels.size(); ++c) {
    json["classes"][labels[c]] = {{"precision", matrix.precision(c)},
                                  {"recall", matrix.recall(c)},
                                  {"f1", matrix.f1(c)},
                                  {"support", matrix.support(c)}};
  }
  json["confusion"] = nlohmann::ordered_json::array();
  for (std::size_t truth = 0; truth < labels.size(); ++truth) {
    nlohmann::ordered_json row = nlohmann::ordered_json::array();
    for (std::size_t c = 0; c < labels.size(); ++c) row.push_back(matrix.count(truth, c));
    json["confusion"].push_back(row);
  }
  return json;
}

/// One network's result beside what was evaluated, or a list of all.
nlohmann::ordered_json to_json(const std::vector<Result>& results,
                               const std::vector<std::string>& labels, const std::string& usage) {
  nlohmann::ordered_json json;
  json["usage"] = usage;
  json["rows"] = results.front().matrix.total();
  json["labels"] = labels;
  if (results.size() == 1) {
    json.update(to_json(results.front(), labels));
  } else {
    for (const Result& result : results) json["results"].push_back(to_json(result, labels));
  }
  return json;
}

std::string to_text(const mien::ConfusionMatrix& matrix, const std::vector<std::string>& labels,
                    const std::string& usage) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2);
  text << "rows: " << matrix.total() << " (" << usage << ")\n"
       << "accuracy: " << percent(matrix.accuracy()) << " (" << matrix.correct() << " correct)\n\n";
  const auto scores = [&](const std::string& name, double precision, double recall, double f1,
                          std::size_t support) {
    text << std::left << std::setw(14) << name << std::right << std::setw(12) << 100.0 * precision
         << std::setw(12) << 100.0 * recall << std::setw(12) << 100.0 * f1 << std::setw(10)
         << support << "\n";
  };
  text << std::left << std::setw(14) << "" << std::right << std::setw(12) << "precision"
       << std::setw(12) << "recall" << std::setw(12) << "F1" << std::setw(10) << "rows"
       << "\n";
  for (std::size_t c = 0; c < labels.size(); ++c) {
    scores(labels[c], matrix.precision(c), matrix.recall(c), matrix.f1(c), matrix.support(c));
  }
  scores("macro average", matrix.macro_precision(), matrix.macro_recall(), matrix.macro_f1(),
         matrix.total());
  scores("micro average", matrix.micro_precision(), matrix.micro_recall(), matrix.micro_f1(),
         matrix.total());
  text << "\nconfusion matrix (rows: truth, columns: prediction)\n" << std::setw(14) << "";
  for (const std::string& label : labels) text << std::right << std::setw(10) << label;
  for (std::size_t truth = 0; truth < labels.size(); ++truth) {
    text << "\n" << std::left << std::setw(14) << labels[truth] << std::right;
    for (std::size_t c = 0; c < labels.size(); ++c) text << std::setw(10) << matrix.count(truth, c);
  }
  return text.str();
}

/// A line for each.
std::string to_table(const std::vector<Result>& results, const Options& options,
                     const std::string& usage) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2);
  text << "rows: " << results.front().matrix.total() << " (" << usage << ")\n"
       << "views: " << (options.crops == mien::Crops::ten ? "ten" : "centre")
       << ", threads: " << options.threads << "\n\n"
       << std::left << std::setw(16) << "network" << std::right << std::setw(12) << "parameters"
       << std::setw(13) << "accuracy, %" << std::setw(13) << "macro F1, %" << std::setw(12)
       << "ms a face"
       << "  file";
  for (const Result& result : results) {
    text << "\n"
         << std::left << std::setw(16) << result.network << std::right << std::setw(12)
         << result.parameters << std::setw(13) << 100.0 * result.matrix.accuracy() << std::setw(13)
         << 100.0 * result.matrix.macro_f1() << std::setw(12) << result.milliseconds_per_face;
    if (!result.file.empty()) text << "  " << result.file;
  }
  return text.str();
}

void require_distinct_outputs(const Options& options) {
  const std::size_t count = std::max<std::size_t>(options.models.size(), 1);
  std::vector<std::string> outputs;
  append_numbered_paths(options.logits, count, outputs);
  append_numbered_paths(options.confusion, count > 1 ? count + 1 : 1, outputs);
  std::vector<std::string> inputs = options.models;
  inputs.push_back(options.data);
  require_distinct(outputs, inputs);
}

void run(const Options& options) {
  require_distinct_outputs(options);
  const mien::Ensemble networks = load_models(options.models);
  const std::vector<std::string>& labels = networks.labels();
  std::string usage;
  const std::vector<LabelledFace> faces =
      select(load_fer_csv(options.data, labels.size()), options, usage);
  const std::vector<Result> results = evaluate(networks, faces, options);
  if (!options.confusion.empty()) write_confusion(options.confusion, results, labels, usage);
  if (options.json) {
    print_line(json_line(to_json(results, labels, usage)));
  } else if (results.size() == 1) {
    print_line(to_text(results.front().matrix, labels, usage));
  } else {
    print_line(to_table(results, options, usage));
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Measures a network on FER2013's CSV: accuracy, precision, recall, F1, confusion matrix. "
      "Compares several.",
      program_name);
  Options options;
  add_options(app, options);
  int status = success;
  if (!parse_command_line(app, argc, argv, status)) return status;
  return report_errors(program_name, [&] { run(options); });
}
