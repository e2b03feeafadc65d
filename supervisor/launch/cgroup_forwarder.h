// A backend in front of another: what a decorator does not change goes through.
//
// Runs in: the supervisor.
#pragma once

#include <utility>

#include "supervisor/launch/cgroup.h"

namespace tenantd {

class CgroupForwarder : public CgroupBackend {
 public:
  explicit CgroupForwarder(std::unique_ptr<CgroupBackend> inner) : inner_(std::move(inner)) {}

  CgroupMode mode() const override { return inner_->mode(); }
  LayerSet layers() const override { return inner_->layers(); }
  CgroupAbilities abilities() const override { return inner_->abilities(); }
  Status create(const CgroupName& name, const ResourceLimits& limits) override {
    return of(name).create(name, limits);
  }
  Status attach(const CgroupName& name, pid_t pid) override { return of(name).attach(name, pid); }
  Result<std::vector<UniqueFd>> entrances(const CgroupName& name) override {
    return of(name).entrances(name);
  }
  Result<UniqueFd> directory(const CgroupName& name) override { return of(name).directory(name); }
  Status apply(const CgroupName& name, const ResourceLimits& limits) override {
    return of(name).apply(name, limits);
  }
  Result<CgroupUsage> usage(const CgroupName& name) override { return of(name).usage(name); }
  std::vector<CgroupSetting> settings(const CgroupName& name,
                                      const ResourceLimits& limits) override {
    return of(name).settings(name, limits);
  }
  Status kill(const CgroupName& name) override { return of(name).kill(name); }
  Status remove(const CgroupName& name) override { return of(name).remove(name); }
  Result<std::vector<CgroupName>> list() override { return inner_->list(); }
  Result<std::vector<pid_t>> processes(const CgroupName& name) override {
    return of(name).processes(name);
  }
  std::string root_directory() const override { return inner_->root_directory(); }
  void remove_root() override { inner_->remove_root(); }

 protected:
  // The backend that has the groups of this name.
  [[nodiscard]] virtual CgroupBackend& of(const CgroupName& /*name*/) { return *inner_; }
  [[nodiscard]] CgroupBackend& inner() { return *inner_; }
  [[nodiscard]] const CgroupBackend& inner() const { return *inner_; }

 private:
  std::unique_ptr<CgroupBackend> inner_;
};

}  // namespace tenantd
