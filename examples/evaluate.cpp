// Measures how well a model reads the expressions of labelled faces.
#include <algorithm>
#include <cstddef>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <mien/mien.hpp>

#include "common/fer_csv.hpp"
#include "common/output_file.hpp"
#include "common/program.hpp"
#include "common/progress.hpp"
#include "common/views_option.hpp"

namespace {

using namespace mien::examples;

constexpr const char* program_name = "evaluate";
using Classifier = mien::ExpressionClassifier<mien::MiniFer>;

struct Options {
  std::string data;
  std::string model;
  mien::Views views = mien::Views::centre;
  std::string usage;
  int threads = std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
  std::string logits;
  bool json = false;
};

struct Prediction {
  Classifier::Scores logits;
  std::size_t expression;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("DATA.csv", options.data, "a file with the columns emotion,pixels,Usage")
      ->required();
  app.add_option("--model", options.model,
                 "weight file (.mien); default: the one that comes with Mien")
      ->type_name("FILE");
  add_views_option(app, options.views);
  app.add_option("--usage", options.usage,
                 "rows with this in the column Usage, or 'all'; default: PublicTest, or all if "
                 "there are none")
      ->type_name("NAME");
  app.add_option("--threads", options.threads, "threads; default: one a core")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  app.add_option("--logits", options.logits,
                 "write every row's truth, prediction and logits into this CSV file")
      ->type_name("OUT.csv");
  app.add_flag("--json", options.json, "print one JSON object");
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

std::vector<Prediction> predict(const Classifier& classifier,
                                const std::vector<LabelledFace>& faces, const Options& options) {
  mien::ThreadPool pool(options.threads);
  Classifier::Workspace workspace(options.threads);
  Progress progress("classifying", faces.size());
  std::vector<Prediction> predictions;
  while (predictions.size() < faces.size()) {
    constexpr std::size_t most = 128;
    std::vector<mien::GrayView> views;
    for (std::size_t i = predictions.size(); i < faces.size() && views.size() < most; ++i) {
      views.push_back(faces[i].face.view());
    }
    for (const auto& logits : classifier.logits(views, options.views, workspace, std::ref(pool))) {
      const auto largest = std::max_element(logits.begin(), logits.end());
      predictions.push_back({logits, static_cast<std::size_t>(largest - logits.begin())});
    }
    progress.show(predictions.size());
  }
  return predictions;
}

void write_logits(const std::string& path, const std::vector<LabelledFace>& faces,
                  const std::vector<Prediction>& predictions,
                  const std::vector<std::string>& labels) {
  std::ostringstream csv;
  csv << std::setprecision(9) << "truth,prediction";
  for (const std::string& label : labels) csv << "," << label;
  for (std::size_t i = 0; i < faces.size(); ++i) {
    csv << "\n" << faces[i].label << "," << predictions[i].expression;
    for (const float logit : predictions[i].logits) csv << "," << logit;
  }
  csv << "\n";
  write_file(path, csv.str());
}

nlohmann::ordered_json to_json(const mien::ConfusionMatrix& matrix,
                               const std::vector<std::string>& labels, const std::string& usage) {
  nlohmann::ordered_json json;
  json["usage"] = usage;
  json["rows"] = matrix.total();
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
  json["labels"] = labels;
  json["confusion"] = nlohmann::ordered_json::array();
  for (std::size_t truth = 0; truth < labels.size(); ++truth) {
    nlohmann::ordered_json row = nlohmann::ordered_json::array();
    for (std::size_t c = 0; c < labels.size(); ++c) row.push_back(matrix.count(truth, c));
    json["confusion"].push_back(row);
  }
  return json;
}

std::string to_text(const mien::ConfusionMatrix& matrix, const std::vector<std::string>& labels,
                    const std::string& usage) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2);
  text << "rows: " << matrix.total() << " (" << usage << ")\n"
       << "accuracy: " << 100.0 * matrix.accuracy() << " % (" << matrix.correct()
       << " correct)\n\n";
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

void run(const Options& options) {
  const mien::MiniFer network = mien::MiniFer::load(
      options.model.empty() ? model_path("mini_fer.mien", "--model") : options.model);
  network.verify();
  const Classifier classifier(network);
  const std::vector<std::string>& labels = classifier.labels();
  std::string usage;
  const std::vector<LabelledFace> faces =
      select(load_fer_csv(options.data, labels.size(), classifier.face_size()), options, usage);
  const std::vector<Prediction> predictions = predict(classifier, faces, options);
  if (!options.logits.empty()) write_logits(options.logits, faces, predictions, labels);

  mien::ConfusionMatrix matrix(labels.size());
  for (std::size_t i = 0; i < faces.size(); ++i) {
    matrix.add(faces[i].label, predictions[i].expression);
  }
  print_line(options.json ? to_json(matrix, labels, usage).dump() : to_text(matrix, labels, usage));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Measures a model on FER2013's CSV: accuracy, precision, recall, F1 and confusion matrix.",
      program_name);
  Options options;
  add_options(app, options);
  int status = success;
  if (!parse_command_line(app, argc, argv, status)) return status;
  return report_errors(program_name, [&] { run(options); });
}
