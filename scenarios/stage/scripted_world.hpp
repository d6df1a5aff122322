#pragma once

#include <functional>
#include <map>
#include <memory>

#include "engine/base/random.hpp"
#include "scenarios/stage/damage.hpp"
#include "scenarios/stage/gates.hpp"
#include "scenarios/stage/waits.hpp"

/// For tests of the stage: a world in which exactly that happens which the test says.
namespace wa::stage {

class ScriptedDevice final : public Device {
 public:
  ScriptedDevice(std::string name, Trace& trace, const Instant& now, std::string engine = "engine",
                 DeviceOptions options = {})
      : Device(std::move(engine), std::move(name), std::move(options), trace), now_(now) {}
  using Device::push;
  void kill() override {}
  Ref hold(std::string, HoldPhase, std::uint32_t) override { return next_ref(); }
  Ref release() override { return next_ref(); }
  Ref inspect() override { return next_ref(); }
  Result<std::size_t> copy_stored() override {
    copies_.push_back(records);
    return copies_.size();
  }
  Result<std::string> stored_digest() override { return digest_of(records); }

  StoredRecords records;
  bool answers = false;  ///< to start
  std::function<void(Ref ref, const boost::json::object& message)> on_send;
  std::vector<boost::json::object> asked_to_send;
  std::vector<std::pair<std::string, std::vector<std::string>>> asked_to_read;
  /// Commands about groups and presence. They are answered with `wish_answer`.
  std::vector<std::pair<std::string, boost::json::object>> wishes;
  boost::json::object wish_answer;

 private:
  void do_start(Ref ref, std::string) override {
    if (answers) push({now_, "done", {{"ref", ref}}, {}});
  }
  void do_stop(Ref) override {}
  void do_logout(Ref) override {}
  void do_remove(Ref) override {}
  void do_send(Ref ref, boost::json::object message) override {
    if (on_send) on_send(ref, message);
    asked_to_send.push_back(std::move(message));
  }
  void do_read(Ref ref, std::string chat, std::vector<std::string> ids) override {
    asked_to_read.emplace_back(std::move(chat), std::move(ids));
    push({now_, "done", {{"ref", ref}}, {}});
  }
  void do_trust(Ref ref, std::string) override { push({now_, "done", {{"ref", ref}}, {}}); }
  void do_wish(Ref ref, std::string command, boost::json::object fields) override {
    wishes.emplace_back(std::move(command), std::move(fields));
    boost::json::object data = wish_answer;
    data["ref"] = ref;
    push({now_, data.contains("code") ? "error" : "done", std::move(data), {}});
  }
  Result<DamagedRecord> do_damage(const Damage& damage) override {
    auto left = damaged(records, damage);
    if (left && left->bytes) records[left->kind][left->key] = *left->bytes;
    return left;
  }
  Result<void> do_restore(std::size_t copy) override {
    if (copy == 0 || copy > copies_.size()) return no_such_copy(copy, copies_.size());
    records = copies_[copy - 1];
    return {};
  }
  Instant now() const override { return now_; }

  const Instant& now_;
  std::vector<StoredRecords> copies_;
};

class ScriptedWorld final : public World, public ServerPort {
 public:
  explicit ScriptedWorld(bool recording = false)
      : trace_(recording),
        random_(7),
        keys_(mock::ServerKeys::generate(random_)),
        tenant_(mock::Settings{}, keys_, 7, random_),
        server_(*this, trace_) {}

  /// At this time, after what was said earlier for the same time.
  void at(Duration when, std::function<void()> happens) {
    script_.emplace(Instant(when), std::move(happens));
  }
  ScriptedDevice& add_device(std::string name, std::string engine = "engine",
                             DeviceOptions options = {}) {
    owned_.push_back(std::make_unique<ScriptedDevice>(std::move(name), trace_, now_,
                                                      std::move(engine), std::move(options)));
    devices_.push_back(owned_.back().get());
    return *owned_.back();
  }
  /// The device says this at that time.
  void says(Duration when, ScriptedDevice& device, std::string state, std::string reason = {}) {
    at(when, [this, &device, state, reason] {
      device.push({now_, "state", {{"state", state}, {"reason", reason}}, {}});
    });
  }
  void shows(Duration when, ScriptedDevice& device, int sequence, bool stale = false) {
    at(when, [this, &device, sequence, stale] {
      device.push({now_,
                   "qr",
                   {{"sequence", sequence}, {"stale", stale}},
                   QrPicture::from_text("code " + std::to_string(sequence))});
    });
  }
  void notices(Duration when, mock::TenantEvent event) {
    at(when, [this, event] { server_.record(now_, event); });
  }

  Mode mode() const override { return Mode::sim; }
  Now now() const override { return {now_, UnixMillis{0}}; }
  bool advance(Instant limit) override {
    const auto next = script_.begin();
    if (next == script_.end() || next->first > limit) {
      now_ = std::max(now_, limit);
      return false;
    }
    now_ = std::max(now_, next->first);
    const auto happens = std::move(next->second);
    script_.erase(next);
    happens();
    return true;
  }
  Server& server() override { return server_; }
  Result<Device*> device(std::string_view, std::string_view name, const DeviceOptions&) override {
    for (Device* known : devices_) {
      if (known->name() == name) return known;
    }
    return Error{Errc::usage, "use add_device"};
  }
  const std::vector<Device*>& devices() const override { return devices_; }
  const TimeScale& time_scale() const override { return scale; }
  Trace& trace() override { return trace_; }
  std::vector<Failure> finish() override { return at_finish; }

  const mock::Tenant& tenant() const override { return tenant_; }
  void command(mock::Command command, Done done) override {
    commands.push_back(command);
    for (mock::Action& action : tenant_.command(commands.size(), command, now())) {
      if (const auto* answer = std::get_if<mock::Answer>(&action.what)) {
        done(answer->result);
      } else if (auto* record = std::get_if<mock::Record>(&action.what)) {
        server_.record(now_, std::move(record->event));
      }
    }
  }

  TimeScale scale;
  std::vector<Failure> at_finish;
  std::vector<mock::Command> commands;

 private:
  Trace trace_;
  Instant now_{};
  SeededRandom random_;
  mock::ServerKeys keys_;
  mock::Tenant tenant_;
  Server server_;
  std::multimap<Instant, std::function<void()>> script_;
  std::vector<std::unique_ptr<ScriptedDevice>> owned_;
  std::vector<Device*> devices_;
};

}  // namespace wa::stage
