-- Argo CD's health of a StreamPlugin. It follows the conditions, as tools that read kstatus do.

local function health(status, message)
  return {status = status, message = message or ""}
end

local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end
local function is(type)
  return conditions[type] ~= nil and conditions[type].status == "True"
end
local message = conditions.Ready ~= nil and conditions.Ready.message or "The operator has not reported on the plugin yet."

-- It is deleted once no Stream uses its class any more: the message names these Streams.
if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", message)
end
if conditions.Ready == nil then
  return health("Progressing", message)
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "The operator has not installed the latest change of the spec yet.")
end
if is("Reconciling") then
  return health("Progressing", message)
end
if is("Stalled") then
  return health("Degraded", message)
end
if not is("Ready") then
  return health("Progressing", message)
end
return health("Healthy", message)
