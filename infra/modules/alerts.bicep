// What somebody must hear of.
param location string
param tags object
param email string
param workspaceId string
param maximumInstanceCount int
param topicIds array

var rules = [
  {
    name: 'server-errors'
    text: 'More than one answer in a hundred, and at least ten, were 5xx.'
    severity: 1
    query: 'AppRequests | where isnotempty(Url) | summarize failed = countif(toint(ResultCode) >= 500), total = count() | where failed >= 10 and failed * 100 > total'
  }
  {
    name: 'timers-stopped'
    text: 'Timers have not run. Changes are published late, deleted files are not erased: restart the app.'
    severity: 1
    query: 'AppRequests | where Name == "housekeeping" | summarize runs = count() | where runs == 0'
  }
  {
    name: 'storage-refuses'
    text: 'More than a hundred requests to storage failed and were repeated.'
    severity: 2
    query: 'AppTraces | where Message has "storage-attempt-failed" | summarize failed = count() | where failed > 100'
  }
  {
    name: 'instances-exhausted'
    text: 'The app runs as many instances as it may; requests wait or are refused.'
    severity: 2
    query: 'AppRequests | summarize instances = dcount(AppRoleInstance) by bin(TimeGenerated, 1m) | where instances >= ${maximumInstanceCount}'
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-dicom'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'dicom'
    enabled: true
    emailReceivers: [{ name: 'operators', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource deadLetters 'Microsoft.Insights/metricAlerts@2018-03-01' = [for (topicId, i) in topicIds: {
  name: 'dead-letters-${i}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Events could not be delivered for a day. They lie in the container event-dead-letters.'
    severity: 2
    enabled: true
    scopes: [topicId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'dead-letters'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'DeadLetteredCount'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: [{ actionGroupId: people.id }]
  }
}]

resource queries 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: rule.name
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'DICOM service: ${rule.name}'
    description: rule.text
    severity: rule.severity
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    // The tables of a new workspace are empty, and unknown to the check.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    autoMitigate: true
    actions: { actionGroups: [people.id] }
  }
}]
