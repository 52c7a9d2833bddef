-- Argo CD's health of a Stream. It follows the conditions, as tools that read kstatus do, and not the phase.

-- The health of a stream that its user has suspended. Argo CD starts no later sync wave and no PostSync hook while
-- a resource is Suspended: write "Healthy" here where such a stream must hold up nothing.
local suspended = "Suspended"

local function health(status, message)
  return {status = status, message = message or ""}
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "The stream is being deleted.")
end
if obj.status == nil or obj.status.conditions == nil then
  return health("Progressing", "The operator has not reported on the stream yet.")
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "The operator has not carried out the latest change of the spec yet.")
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local function is(type, status)
  return conditions[type] ~= nil and conditions[type].status == status
end
local message = conditions.Ready ~= nil and conditions.Ready.message or ""

if is("Reconciling", "True") then
  return health("Progressing", message)
end
if is("Stalled", "True") then
  return health("Degraded", message)
end
if not is("Ready", "True") then
  return health("Progressing", message)
end
if is("Suspended", "True") then
  return health(suspended, message)
end
-- What runs is left running with the former definition, so that the stream is Ready all the same.
if is("Accepted", "False") then
  return health("Degraded", conditions.Accepted.message)
end
-- The next run of the schedule comes in its time: a run that failed is no reason to fail a deployment.
if is("LastRunFailed", "True") then
  message = message .. " " .. conditions.LastRunFailed.message
end
if is("ChangePending", "True") then
  message = message .. " " .. conditions.ChangePending.message
end
return health("Healthy", message)
