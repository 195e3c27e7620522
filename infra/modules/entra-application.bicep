// The Entra application of the API: its app roles, and who has them.
extension microsoftGraphV1

param uniqueName string
param displayName string
param pagesUrl string
param dataOwnerId string
param furtherRoles array

// Azure CLI, so that a token for a first request needs no application of one's own.
var azureCliId = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
var accessScopeId = guid(uniqueName, 'access')
var ownerRoleId = guid(uniqueName, 'DICOM.Data.Owner')
var readerRoleId = guid(uniqueName, 'DICOM.Data.Reader')

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: displayName
  signInAudience: 'AzureADMyOrg'
  // The pages sign in as the application itself: a public client that may come back to them and to the viewer alone.
  spa: { redirectUris: [pagesUrl, '${pagesUrl}viewer/'] }
  api: {
    // The issuer of version 1 tokens is another than the authority that the service checks.
    requestedAccessTokenVersion: 2
    oauth2PermissionScopes: [
      {
        id: accessScopeId
        type: 'User'
        value: 'access'
        isEnabled: true
        adminConsentDisplayName: 'Use the DICOM service'
        adminConsentDescription: 'Call the DICOM service as the signed-in user, within the roles of that user.'
      }
    ]
    preAuthorizedApplications: [{ appId: azureCliId, delegatedPermissionIds: [accessScopeId] }]
  }
  appRoles: concat([
    {
      id: ownerRoleId
      value: 'DICOM.Data.Owner'
      displayName: 'DICOM Data Owner'
      description: 'Every action on all DICOM data.'
      allowedMemberTypes: ['User', 'Application']
      isEnabled: true
    }
    {
      id: readerRoleId
      value: 'DICOM.Data.Reader'
      displayName: 'DICOM Data Reader'
      description: 'Search, retrieve and follow changes.'
      allowedMemberTypes: ['User', 'Application']
      isEnabled: true
    }
  ], map(furtherRoles, name => {
    id: guid(uniqueName, name)
    value: name
    displayName: name
    description: 'What the roles document of the service says of ${name}.'
    allowedMemberTypes: ['User', 'Application']
    isEnabled: true
  }))
}

resource servicePrincipal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
  // Nobody gets a token without a role.
  appRoleAssignmentRequired: true
}

resource dataOwner 'Microsoft.Graph/appRoleAssignedTo@v1.0' = if (!empty(dataOwnerId)) {
  principalId: dataOwnerId
  resourceId: servicePrincipal.id
  appRoleId: ownerRoleId
}

output clientId string = servicePrincipal.appId
