-- Argo CD's health of a StreamClass. An operator that serves some namespaces only writes no status of classes: leave
-- this check out then.

local function health(status, message)
  return {status = status, message = message or ""}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "The class is being deleted.")
end
if obj.status == nil or obj.status.conditions == nil then
  return health("Progressing", "The operator has not reported on the class yet.")
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "The operator has not read the latest change of the spec yet.")
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then
    -- A class that is not served needs somebody: its spec, or another version of the operator.
    return health(condition.status == "True" and "Healthy" or "Degraded", condition.message)
  end
end
return health("Progressing", "The operator has not reported on the class yet.")
