-- Argo CD's health of a StreamingJobTemplate. It has no status: what is wrong with a template shows at the Streams and
-- BackfillRequests that use it.

if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "The template is being deleted."}
end
return {status = "Healthy", message = ""}
