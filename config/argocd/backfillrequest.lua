-- Argo CD's health of a BackfillRequest. The reason of its condition Ready says what it waits for, or how it ended.
-- The generation says nothing here: the operator itself sets spec.completed, and nothing else in the spec of a request
-- that has ended is carried out.

local function health(status, message)
  return {status = status, message = message or ""}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "The request is being deleted.")
end
local ready = nil
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    if condition.type == "Ready" then
      ready = condition
    end
  end
end
-- The operator reports on a new request after two seconds, unless its backfill runs before.
if ready == nil then
  return health("Progressing", "The operator has not reported on the request yet.")
end
-- Cancelled is the end that the user asked for.
if ready.status == "True" or ready.reason == "Cancelled" then
  return health("Healthy", ready.message)
end
if ready.reason == "Failed" then
  return health("Degraded", ready.message)
end
-- Nothing happens until the user resumes the stream.
if ready.reason == "StreamSuspended" then
  return health("Suspended", ready.message)
end
return health("Progressing", ready.message)
