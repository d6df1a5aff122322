#include "mockserver/control/metrics.hpp"

namespace wa::mock::control {
namespace {

/// Lines of the text format, family by family.
class MetricsText {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += "# HELP " + name_ + " " + std::string(help) + "\n";
    text_ += "# TYPE " + name_ + " " + std::string(type) + "\n";
  }

  void sample(Labels labels, std::uint64_t value) {
    text_ += name_;
    char separator = '{';
    for (const auto& [label, content] : labels) {
      text_ += separator;
      text_ += std::string(label) + "=\"" + escaped(content) + "\"";
      separator = ',';
    }
    text_ += "} " + std::to_string(value) + "\n";
  }

  std::string take() { return std::move(text_); }

 private:
  static std::string escaped(std::string_view content) {
    std::string out;
    for (const char c : content) {
      if (c == '\\' || c == '"') out += '\\';
      if (c == '\n') {
        out += "\\n";
      } else {
        out += c;
      }
    }
    return out;
  }

  std::string name_;
  std::string text_;
};

}  // namespace

std::string metrics_text(MockHost& host) {
  MetricsText out;
  const std::vector<std::string> tenants = host.tenants();

  out.family("testline_connections", "gauge", "Live connections by phase.");
  for (const std::string& name : tenants) {
    std::map<std::string, std::uint64_t> phases;
    for (const ConnectionInfo& connection : host.tenant(name)->connections()) {
      ++phases[connection.phase];
    }
    for (const auto& [phase, count] : phases) {
      out.sample({{"tenant", name}, {"phase", phase}}, count);
    }
  }

  out.family("testline_companions", "gauge", "Linked devices.");
  for (const std::string& name : tenants) {
    std::uint64_t online = 0;
    std::uint64_t offline = 0;
    for (const PhoneInfo& phone : host.tenant(name)->phones()) {
      for (const CompanionInfo& companion : phone.devices) ++(companion.online ? online : offline);
    }
    out.sample({{"tenant", name}, {"online", "true"}}, online);
    out.sample({{"tenant", name}, {"online", "false"}}, offline);
  }

  out.family("testline_stanzas_total", "counter", "Stanzas received, by kind and route.");
  for (const std::string& name : tenants) {
    for (const CoverageRow& row : host.tenant(name)->coverage()) {
      out.sample({{"tenant", name}, {"stanza", row.stanza}, {"route", row.route}}, row.count);
    }
  }

  out.family("testline_violations_total", "counter", "What clients did wrong, by rule.");
  for (const std::string& name : tenants) {
    std::map<std::string, std::uint64_t> rules;
    for (const Violation& violation : host.tenant(name)->violations()) ++rules[violation.rule];
    for (const auto& [rule, count] : rules) out.sample({{"tenant", name}, {"rule", rule}}, count);
  }

  out.family("testline_faults_fired_total", "counter", "How often fault records acted.");
  for (const std::string& name : tenants) {
    for (const FaultEngine::Active& fault : host.tenant(name)->faults().records()) {
      out.sample({{"tenant", name}, {"id", fault.record.id}}, fault.fired);
    }
  }
  return out.take();
}

}  // namespace wa::mock::control
