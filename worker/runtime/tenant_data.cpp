#include "worker/runtime/tenant_data.h"

#include <utility>

#include "worker/runtime/history_keeper.h"

namespace tenantd {

Result<TenantData> TenantData::open(const ExecutionContext& context, const std::string& directory,
                                    const TenantSettings& settings, const EncoderShelf& shelf) {
  TenantData data;
  auto store =
      TenantStore::open(context.tenant(), directory + "/routes.db", settings.max_storage_bytes);
  if (!store) return tl::unexpected(std::move(store.error()));
  data.store = std::move(*store);
  data.executions = HistoryKeeper::make_room(context, *data.store, settings);
  auto editor = RouteEditor::open(context, *data.store, settings, shelf, ImageKeeper(directory));
  if (!editor) return tl::unexpected(std::move(editor.error()));
  data.editor.emplace(std::move(*editor));
  data.editor->keep_index(directory);
  data.router = data.editor->make_router(context);
  return data;
}

Result<TenantData> TenantData::open_shared(const ExecutionContext& context,
                                           std::shared_ptr<StoreFile> shard,
                                           const TenantSettings& settings,
                                           const EncoderShelf& shelf) {
  TenantData data;
  data.store =
      std::make_unique<TenantStore>(context.tenant(), std::move(shard), settings.max_storage_bytes);
  data.executions = HistoryKeeper::make_room(context, *data.store, settings);
  auto editor = RouteEditor::open(context, *data.store, settings, shelf);
  if (!editor) return tl::unexpected(std::move(editor.error()));
  data.editor.emplace(std::move(*editor));
  data.router = data.editor->make_router(context);
  return data;
}

}  // namespace tenantd
