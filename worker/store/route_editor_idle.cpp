// What RouteEditor does when no edit waits: another encoder's vectors, calibration, the image for
// the next start, and looking after what this one spared.
#include "worker/store/route_editor.h"
#include "worker/store/route_loading.h"

namespace tenantd {

void RouteEditor::begin_reencoding(const ExecutionContext& context, EncoderPtr target) {
  reencoding_.emplace(std::move(target), progress_);
  const RouteSet& set = *current_->set;
  if (Status resumed = reencoding_->resume(context, *store_, set); !resumed) {
    reencoding_->report(set, resumed.error().message);
  }
}

Result<bool> RouteEditor::reencode(const ExecutionContext& context) {
  if (!reencoding_) return false;
  const RouteSet& set = *current_->set;
  if (const std::size_t textless = count_textless(set); textless > 0) {
    reencoding_->report(set, std::to_string(textless) +
                                 " utterances have no text to encode again: replace them, or "
                                 "remove them");
    return false;
  }
  const auto more = reencoding_->encode_slice(context, *store_, set);
  if (!more || *more) return more;
  if (Status taken = take_over(context); !taken) {
    reencoding_->report(set, taken.error().message);
    return fail(taken.error());
  }
  return false;
}

// From the staged vectors to the next snapshot; what is published was committed.
Status RouteEditor::take_over(const ExecutionContext& context) {
  const auto version = store_->take_staged(context, current_->set->utterance_count());
  if (!version) return fail(version.error());
  auto loaded = load_routes(context, *store_, wanted_.dimension);
  if (!loaded) return fail(loaded.error());
  images_.note_edited(loaded->changed_utterances);
  auto next = std::make_shared<RouteSnapshot>();
  next->settings = current_->settings;
  next->settings.router = wanted_;
  next->encoder = reencoding_->target();
  next->version = *version;
  next->set = std::move(loaded->set);
  calibrate(*next, searcher_);
  session_ = next->encoder->open_session();
  reencoding_.reset();
  progress_->set({});
  return publish(context, std::move(next));
}

Result<bool> RouteEditor::settle(const ExecutionContext& context) {
  if (current_->edited_since_fit == 0) return false;
  auto next = std::make_shared<RouteSnapshot>(*current_);
  calibrate(*next, searcher_);
  if (Status status = publish(context, std::move(next)); !status) return fail(status.error());
  return true;
}

Result<bool> RouteEditor::improve_index(const ExecutionContext& context) {
  const IndexKeeper::Step step = index_.improve(*current_);
  if (step.has_news) {
    Status status = publish(context, std::make_shared<RouteSnapshot>(*current_));
    if (!status) return fail(status.error());
  }
  return step.more;
}

Result<bool> RouteEditor::keep_image(const ExecutionContext& context) {
  if (current_->edited_since_fit > 0) return false;
  return images_.improve(context, *store_, current_);
}

// First what answers already.
Result<bool> RouteEditor::verify_start(const ExecutionContext& context) {
  if (is_verified_) return false;
  if (!images_.verify()) {
    is_verified_ = true;  // by reading all of it
    if (Status loaded = reload(context); !loaded) return fail(loaded.error());
    return false;
  }
  Result<std::string> last = store_->verify(context, verified_);
  is_verified_ = !last || last->empty();
  if (!last) return fail(last.error());
  verified_ = std::move(*last);
  return !is_verified_;
}

Status RouteEditor::reload(const ExecutionContext& context) {
  auto loaded = load_routes(context, *store_, current_->set->dimension);
  if (!loaded) return fail(loaded.error());
  auto next = std::make_shared<RouteSnapshot>(*current_);
  next->set = std::move(loaded->set);
  calibrate(*next, searcher_);
  return publish(context, std::move(next));
}

bool RouteEditor::has_idle_work() const noexcept {
  return reencoding_ || current_->edited_since_fit > 0 || !is_verified_ ||
         images_.is_due(*current_) || current_->settings.router.index == VectorIndexKind::ivf;
}

}  // namespace tenantd
