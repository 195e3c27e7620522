// Where secrets of clients rest while an export needs them: signatures of their containers, keys of pseudonyms.
param token string
param location string
param tags object
param workspaceId string
param appPrincipalId string
param restrictNetwork bool
param networkId string
param subnetId string

var keyVaultSecretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'

// The app reaches it over the private endpoint, or, without a network of its own, over the public one: a function app is no trusted service.
resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: 'kvs-${token}'
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 7
    networkAcls: {
      defaultAction: restrictNetwork ? 'Deny' : 'Allow'
      bypass: 'None'
    }
  }
}

resource appOnVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, appPrincipalId, keyVaultSecretsOfficer)
  scope: vault
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyVaultSecretsOfficer)
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'audit', enabled: true }]
  }
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = if (restrictNetwork) {
  name: 'privatelink.vaultcore.azure.net'
  location: 'global'
  tags: tags
}

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = if (restrictNetwork) {
  parent: zone
  name: 'dicom-vault'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: networkId }
  }
}

resource privateEndpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = if (restrictNetwork) {
  name: 'pe-vault'
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      {
        name: 'vault'
        properties: { privateLinkServiceId: vault.id, groupIds: ['vault'] }
      }
    ]
  }
}

resource zoneGroup 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = if (restrictNetwork) {
  parent: privateEndpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      { name: 'vault', properties: { privateDnsZoneId: zone.id } }
    ]
  }
}

output vaultUri string = 'https://${vault.name}${environment().suffixes.keyvaultDns}/'
